//! Mail and messages.

use super::Follower;
use super::calls::Site;
use super::origins::Origins;
use super::value::Value;
use super::words::{has_word, last_part, plain_name};
use crate::model::{Effect, EventKind};

impl Follower<'_> {
    pub(crate) fn mail_call(&mut self, path: &str, given: &[Value], site: &Site<'_>) -> Option<Value> {
        let last = last_part(path);
        let plain = plain_name(last);
        let named =
            ["sendmail", "sendemail", "sendsms", "sendtemplate", "sendmessage", "sendtransacemail", "sendnotification"]
                .contains(&plain.as_str())
                || (plain.starts_with("send") && has_word(last, &["mail", "email", "sms", "newsletter", "receipt"]));
        let sends = matches!(last, "send" | "create" | "messages" | "sendBatch" | "post")
            && has_word(
                path,
                &[
                    "mail",
                    "email",
                    "resend",
                    "sendgrid",
                    "sg",
                    "postmark",
                    "mailgun",
                    "ses",
                    "nodemailer",
                    "twilio",
                    "brevo",
                    "mailchimp",
                    "transporter",
                ],
            );
        if !(named || sends) || given.is_empty() {
            return None;
        }
        let effect = Effect {
            call: site.name.clone(),
            model: "mail".to_owned(),
            mail: true,
            repeats: true,
            ..Effect::default()
        };
        self.emit(EventKind::Write(effect), site.frame, site.span);
        Some(Value::of(Origins::NONE))
    }
}
