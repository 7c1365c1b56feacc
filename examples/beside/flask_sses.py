import itertools
import os
import threading
import time

from flask import Flask
from flask_sse import sse

app = Flask(__name__)
app.config["REDIS_URL"] = os.environ.get("REDIS_URL", "redis://localhost")
app.register_blueprint(sse, url_prefix="/events")


def publish():
    with app.app_context():
        for number in itertools.count(1):
            sse.publish({"tick": number})
            time.sleep(1)


threading.Thread(target=publish, daemon=True).start()
