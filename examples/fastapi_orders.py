from fastapi import FastAPI

from streamkit_adapters.fastapi import CSVExport, StreamingService, StreamkitMiddleware

app = FastAPI()
app.add_middleware(StreamkitMiddleware)


@app.get("/orders.csv", response_class=CSVExport)
async def orders(status: str):
    rows = ({"id": number, "status": status} for number in range(3))
    return StreamingService.export("orders", rows, "csv")
