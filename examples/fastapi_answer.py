import logging

from fastapi import FastAPI
from openai import AsyncOpenAI, OpenAIError

from streamkit import ServerSentEvent, lossless
from streamkit_adapters.fastapi import EventStream, StreamingService, StreamkitMiddleware

app = FastAPI()
app.add_middleware(StreamkitMiddleware)
openai = AsyncOpenAI()


async def answer(question: str):
    messages = [{"role": "user", "content": question}]
    try:
        async with await openai.chat.completions.create(
            model="gpt-4.1-mini", messages=messages, stream=True
        ) as chunks:
            async for chunk in chunks:
                for choice in chunk.choices:
                    yield {"text": choice.delta.content or ""}
    except OpenAIError:
        logging.exception("The model gave no answer.")
        yield ServerSentEvent(event="error", data={"message": "The model gave up. Ask again."})
    else:
        yield "[DONE]"


@app.get("/answer", response_class=EventStream)
async def ask(question: str):
    return StreamingService.sse("answers", lossless(answer(question)))
