from flask import Flask, request

from streamkit_adapters.flask import StreamingService, StreamkitMiddleware

app = Flask(__name__)
StreamkitMiddleware(app)


@app.get("/orders.csv")
def orders():
    rows = ({"id": number, "status": request.args["status"]} for number in range(3))
    return StreamingService.export("orders", rows, "csv")


@app.get("/program")
def program():
    return StreamingService.download(__file__, filename="orders.py")
