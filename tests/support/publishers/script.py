"""Two lines, and no more: where the channels are says the environment."""

from streamkit import Channel

print(Channel("script").publish({"id": 7}))
