"""Checks signatures with the official library.

In: JSON lines {secret, headers, body_base64}. Out: a line each, "ok" or "error: why".
"""

import base64
import json
import sys

from standardwebhooks.webhooks import Webhook

for line in sys.stdin:
    request = json.loads(line)
    try:
        body = base64.b64decode(request["body_base64"])
        Webhook(request["secret"]).verify(body, request["headers"], json_parse=False)
        print("ok")
    except Exception as error:
        print("error:", " ".join(str(error).split()))
