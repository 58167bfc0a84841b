//! The words of a page: what each class is called, and texts of others made fit to be shown.

use payproof::reconcile::DiscrepancyClass;

/// A class as people say it.
pub(crate) fn heading(class: DiscrepancyClass) -> &'static str {
    words(class).0
}

/// What it means, in a sentence.
pub(crate) fn meaning(class: DiscrepancyClass) -> &'static str {
    words(class).1
}

/// The color of a class: what is wrong, what waits, and what is not known.
pub(crate) fn tone(class: DiscrepancyClass) -> &'static str {
    match class {
        DiscrepancyClass::Pending => "wait",
        DiscrepancyClass::Unknown => "lost",
        _ => "bad",
    }
}

/// The name of a class, and what it means.
fn words(class: DiscrepancyClass) -> (&'static str, &'static str) {
    match class {
        DiscrepancyClass::PaidNotOrdered => ("Paid, not ordered", "Money was kept, and no order belongs to it."),
        DiscrepancyClass::OrderUnmarked => ("Order not marked as paid", "Its payment is there."),
        DiscrepancyClass::OrderedNotPaid => ("Ordered, not paid", "The shop says paid, and the provider does not."),
        DiscrepancyClass::Differs => ("Differs", "Amount, currency, tenant, order or mode."),
        DiscrepancyClass::OrderPaidTwice => ("Order paid twice", "More was kept than its total."),
        DiscrepancyClass::PaymentUsedTwice => ("Payment used twice", "Several paid orders name it."),
        DiscrepancyClass::CancelledButPaid => ("Cancelled, but paid", "The money was kept all the same."),
        DiscrepancyClass::RefundedButShipped => ("Refunded, but shipped", "The money was given back before."),
        DiscrepancyClass::DisputedButShipped => ("Disputed, but shipped", "The dispute was there before."),
        DiscrepancyClass::RedeemedWithoutOrder => ("Redeemed without an order", "The shop has no paid order of it."),
        DiscrepancyClass::Pending => ("Pending for too long", "Neither paid nor failed so far."),
        DiscrepancyClass::Unknown => ("Unknown", "It could not be found out."),
        other => (other.code(), ""),
    }
}

/// Text that a browser shows as it stands, and never reads as markup.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        assert_eq!(
            escaped("<img src=x onerror='a(\"b\")'>&\u{7}"),
            "&lt;img src=x onerror=&#39;a(&quot;b&quot;)&#39;&gt;&amp; "
        );
    }

    #[test]
    fn each_class_has_words() {
        for class in DiscrepancyClass::ALL {
            assert!(!meaning(class).is_empty() && heading(class) != class.code(), "{}", class.code());
        }
    }
}
