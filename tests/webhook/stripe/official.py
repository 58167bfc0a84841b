"""Signs and verifies webhooks with Stripe's own library: a line of JSON in, a line of JSON out, until standard input closes.

{"secret", "body", "time"} is signed, and answered with {"header"}. {"secret", "body", "header"} is verified, and answered
with {"event"}, its id, or with {"refused"}, the name of the error.
"""

import json
import sys

import stripe

for line in sys.stdin:
    asked = json.loads(line)
    secret, body = asked["secret"], asked["body"]
    if "time" in asked:
        header = stripe.WebhookSignature.generate_signature_header(body, secret, asked["time"])
        answer = {"header": header}
    else:
        try:
            event = stripe.Webhook.construct_event(body, asked["header"], secret)
            answer = {"event": event.id}
        except stripe.SignatureVerificationError as error:
            answer = {"refused": type(error).__name__}
    print(json.dumps(answer), flush=True)
