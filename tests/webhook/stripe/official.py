"""Signs and verifies webhooks with Stripe's own library: a line of JSON in, a line of JSON out, until standard input closes.

{"secret", "body", "time"} is signed, and answered with {"header"}. {"secret", "body", "header"} is verified, and answered
with {"event", "type", "object"}, its id, its type and the id of its object, or with {"refused"}, the name of the error. Of a
thin event {"context"} is told too, and with "key", "host" and "port" its object is fetched there, and its {"payment"} told.
"""

import json
import sys

import stripe

stripe.enable_telemetry = False


def thin(asked, body):
    options = {}
    if "host" in asked:
        options["base_addresses"] = {"api": f"http://{asked['host']}:{asked['port']}"}
    client = stripe.StripeClient(asked.get("key", "sk_test_unused"), max_network_retries=0, **options)
    event = client.parse_event_notification(body, asked["header"], asked["secret"])
    related = getattr(event, "related_object", None)
    fetched = event.fetch_related_object() if related and "host" in asked else None
    return {
        "event": event.id,
        "type": event.type,
        "object": related.id if related else None,
        "context": str(event.context) if event.context else None,
        "payment": fetched.payment_intent if fetched else None,
    }


for line in sys.stdin:
    asked = json.loads(line)
    secret, body = asked["secret"], asked["body"]
    if "time" in asked:
        header = stripe.WebhookSignature.generate_signature_header(body, secret, asked["time"])
        answer = {"header": header}
    else:
        try:
            if json.loads(body)["object"] == "v2.core.event":
                answer = thin(asked, body)
            else:
                event = stripe.Webhook.construct_event(body, asked["header"], secret)
                answer = {"event": event.id, "type": event.type, "object": event.data.object.id}
        except stripe.SignatureVerificationError as error:
            answer = {"refused": type(error).__name__}
    print(json.dumps(answer), flush=True)
