export function ask(question, show, fail) {
  const answer = new EventSource(`/answer?question=${encodeURIComponent(question)}`);
  answer.onmessage = ({ data }) => {
    if (data === "[DONE]") answer.close();
    else show(JSON.parse(data).text);
  };
  answer.addEventListener("error", ({ data }) => {
    answer.close();
    fail(data ? JSON.parse(data).message : "The connection was lost.");
  });
}
