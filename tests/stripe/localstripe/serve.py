"""Serves localstripe on a free loopback port, prints the port, and ends when standard input closes.

With the argument `amounts` it also states amount_received, amount_capturable and amount_captured, which Stripe states and
localstripe leaves out. They are derived from what localstripe itself recorded. With the argument `lists` it lists payments without
regard to `created`, a filter that localstripe refuses.
"""

import os
import socket
import sys
import threading

from aiohttp import web
from localstripe.resources import Charge, PaymentIntent, Store
from localstripe.server import app

# It would write its state to one fixed path in the temporary folder, whichever server it is.
Store.dump_to_disk = lambda self: None


def state_amounts():
    capture = Charge._capture

    # A partial capture leaves no trace in localstripe but a refund of the rest.
    def remember(self, amount, on_success=None):
        capture(self, amount, on_success)
        self._captured = self.amount if amount is None else int(amount)

    def captured(charge):
        if charge is None or charge.status != "succeeded" or not charge.captured:
            return 0
        return getattr(charge, "_captured", charge.amount)

    Charge._capture = remember
    # Properties are exported like any other attribute.
    Charge.amount_captured = property(captured)
    PaymentIntent.amount_received = property(lambda payment: captured(payment.latest_charge))
    PaymentIntent.amount_capturable = property(
        lambda payment: payment.amount if payment.status == "requires_capture" else 0
    )


@web.middleware
async def without_window(request, handler):
    query = [(name, value) for name, value in request.query.items() if not name.startswith("created[")]
    return await handler(request.clone(rel_url=request.rel_url.with_query(query)))


if "amounts" in sys.argv[1:]:
    state_amounts()
if "lists" in sys.argv[1:]:
    app.middlewares.insert(0, without_window)
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
web.run_app(app, sock=listener, print=None)
