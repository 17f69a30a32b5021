"""Publishes download events: python publish_events.py BROKER_URL"""

import sys
import uuid
from datetime import UTC, datetime

from dlmon import InvalidEvent, Publisher

DUBLIN = {"latitude": 53.35, "longitude": -6.26}

with Publisher(sys.argv[1]) as publisher:
    for size, speed in ((1_725_024, 35.6), (88_200, 4.1), (52_428_800, -1)):
        event = {"event_id": uuid.uuid4(), "timestamp": datetime.now(UTC), "coordinates": DUBLIN}
        try:
            publisher.publish(event | {"file_size": size, "download_speed": speed})
        except InvalidEvent as error:
            print(error)
    publisher.flush()  # every valid event is on the broker's disk now
