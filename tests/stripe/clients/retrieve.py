"""Retrieves and lists payments with Stripe's own library for Python. Standard input has where from and what, as JSON; standard output
gets what the library made of each, in order, as JSON.
"""

import json
import sys

import stripe

asked = json.load(sys.stdin)
stripe.enable_telemetry = False
address = f"http://{asked['host']}:{asked['port']}"
client = stripe.StripeClient(asked["key"], base_addresses={"api": address}, max_network_retries=0)


def retrieve(payment, expand=None):
    try:
        found = client.v1.payment_intents.retrieve(payment, params={"expand": expand} if expand else None)
        return json.loads(str(found))
    except stripe.StripeError as error:
        return {"error": {"status": error.http_status, "code": error.code, "message": error.user_message}}


def walk(list, params):
    """All that a list has, over all its pages."""
    found = getattr(client.v1, list).list(params=params)
    return [json.loads(str(entry)) for entry in found.auto_paging_iter()]


print(json.dumps([walk(**call) if "list" in call else retrieve(**call) for call in asked["calls"]]))
