//! An order's row and the redemption of its payment: both, or neither.

use std::error::Error;

use payproof::redeem::Occasion;
use payproof::{Currency, Money, PaymentIntent, Validator, Verdict};
use tokio_postgres::Client;

use crate::letters;
use crate::process::Stop;

/// The shop's own table. That each payment stands there once is the redemption's to see to.
pub(crate) const TABLE: &str =
    "CREATE TABLE orders (name text PRIMARY KEY, payment text NOT NULL, receipt text NOT NULL)";

/// The payment that the shopper made for the order.
pub(crate) fn payment_of(order: &str) -> String {
    format!("pi_{order}")
}

/// Places an order that the shopper says to have paid. Asked for again it comes to the same end.
pub(crate) async fn place(
    validator: &Validator,
    client: &mut Client,
    order: &str,
    stop: Stop,
) -> Result<(), Box<dyn Error>> {
    let money = Money::parse("19.99", Currency::USD)?;
    let intent = PaymentIntent::new("store_42", payment_of(order), money)?.with_order(order)?;
    // Before the transaction: the provider takes its time, and a transaction holds locks.
    let proof = match validator.validate(&intent).await?.into_verdict() {
        Verdict::Valid(proof) => proof,
        verdict => return Err(format!("the payment is {}", verdict.as_str()).into()),
    };
    let mut transaction = client.transaction().await?;
    // Where the error is retryable, as after a wait for a lock, a service begins here again.
    let redeemed = validator.redeem(proof).within(&mut transaction).await?;
    stop.at(Stop::Redeemed);
    // A repeat was committed before, with its row.
    if redeemed.occasion() == Occasion::First {
        let (payment, receipt) = (redeemed.receipt().payment().as_str(), redeemed.receipt().to_string());
        transaction.execute("INSERT INTO orders VALUES ($1, $2, $3)", &[&order, &payment, &receipt]).await?;
        letters::write_down(&transaction, order).await?;
    }
    stop.at(Stop::OrderWritten);
    transaction.commit().await?;
    stop.at(Stop::Committed);
    Ok(())
}
