//! What an error of PostgreSQL means: how far the call got, and what to do about it.

use super::StoreError;

impl StoreError {
    /// The error for one that a PostgreSQL server reports, by its SQLSTATE, which is five characters, and its message.
    ///
    /// It holds for a statement that is a transaction of its own. Within a transaction every error loses that transaction, and what
    /// is [`not_sent`](Self::not_sent) here may be asked again in a new one.
    ///
    /// | SQLSTATE | is |
    /// |---|---|
    /// | `40001`, `40P01`, `55P03`, `57014`: rolled back; `53300`, `57P03`: no room or not ready; `25006`: a standby | [`not_sent`](Self::not_sent) |
    /// | `57P05`: the connection was idle for too long, and is closed | [`not_sent`](Self::not_sent) |
    /// | `08…`, `57P01`, `57P02`, `57P04`: the connection broke | [`outcome_unknown`](Self::outcome_unknown) |
    /// | any other | [`refused`](Self::refused) |
    ///
    /// The severity is not asked for. Where it is `FATAL` or `PANIC` the connection has ended, and the outcome is unknown also of a
    /// code in the last row: make that [`outcome_unknown`](Self::outcome_unknown) instead.
    ///
    /// The codes are those of [appendix A](https://www.postgresql.org/docs/current/errcodes-appendix.html) of PostgreSQL's manual.
    ///
    /// ```
    /// use payproof::store::StoreError;
    ///
    /// let error = StoreError::from_sqlstate("55P03", "canceling statement due to lock timeout");
    /// assert!(!error.is_refused() && !error.is_outcome_unknown());
    /// ```
    #[must_use]
    pub fn from_sqlstate(code: impl AsRef<str>, message: impl AsRef<str>) -> Self {
        let (code, message) = (code.as_ref(), message.as_ref());
        match code {
            "40001" | "40P01" => {
                Self::contended(format!("PostgreSQL rolled back for other transactions ({code}); ask again"))
            }
            "55P03" => Self::contended(
                "another transaction holds the record locked (55P03); ask again, and keep transactions short",
            ),
            "57014" => Self::contended(format!(
                "PostgreSQL canceled the statement (57014: {message}); look at its load and at `statement_timeout`"
            )),
            "53300" => Self::not_sent(
                "PostgreSQL has no room for another connection (53300); raise `max_connections`, or lower `connections`",
            ),
            "57P03" => Self::not_sent("PostgreSQL takes no connections now (57P03); try again shortly"),
            "25006" => {
                Self::not_sent("this PostgreSQL server is a standby or read-only (25006); connect to the primary")
            }
            "57P05" => Self::not_sent("PostgreSQL closed a connection that was idle for too long (57P05); ask again"),
            "57P01" | "57P02" | "57P04" => Self::outcome_unknown(format!("PostgreSQL ended the connection ({code})")),
            _ if code.starts_with("08") => {
                Self::outcome_unknown(format!("the connection to PostgreSQL broke ({code}: {message})"))
            }
            "42883" | "42P01" | "3F000" => Self::refused(format!(
                "the database lacks the table of payproof or its functions in the search path ({code}); run `payproof migrate`"
            )),
            "42501" => Self::refused(format!(
                "PostgreSQL denies this user a right (42501: {message}); \
                 grant SELECT, INSERT, UPDATE and DELETE on payproof_records, and SELECT on payproof_table_id"
            )),
            "28P01" | "28000" => Self::refused(format!(
                "PostgreSQL refuses the user or the password ({code}); check both in the URL, and `pg_hba.conf`"
            )),
            "3D000" => Self::refused("there is no such database (3D000); check its name in the URL"),
            "53100" => Self::refused("PostgreSQL has no space left on its disk (53100)"),
            "53200" => Self::refused("PostgreSQL is out of memory (53200)"),
            _ => Self::refused(format!("PostgreSQL refuses: {code} {message}")),
        }
    }

    /// The same for an error with which the server ended the connection after a statement was sent.
    #[cfg(feature = "postgres")]
    pub(super) fn from_last_sqlstate(code: &str, message: &str) -> Self {
        match Self::from_sqlstate(code, message) {
            said if said.is_refused() => {
                Self::outcome_unknown(format!("PostgreSQL ended the connection ({code}: {message})"))
            }
            said => said,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::StoreError;

    #[test]
    fn a_code_says_how_far_the_call_got() {
        for (codes, refused, unknown) in [
            (&["40001", "40P01", "55P03", "57014", "53300", "57P03", "57P05", "25006"][..], false, false),
            (&["08000", "08006", "08P01", "57P01", "57P02", "57P04"], false, true),
            (&["42883", "42P01", "42501", "28P01", "3D000", "53100", "53200", "XX000", "22P02", ""], true, false),
        ] {
            for code in codes {
                let error = StoreError::from_sqlstate(code, "message");
                assert_eq!((error.is_refused(), error.is_outcome_unknown()), (refused, unknown), "{code}");
                assert!(error.to_string().contains(code), "{error}");
            }
        }
    }
}
