//! The endpoint, and how it is asked.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngExt;
use rand::rngs::StdRng;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, ClientBuilder, Method, Url};

use crate::settings::variable;
use crate::trouble::Trouble;

use super::VerifyArgs;
use super::answer::{EndpointAnswer, unanswered};
use super::probe::EffectProbe;

const KEY: &str = "idempotency-key";

pub(crate) struct Target {
    client: Client,
    url: Url,
    method: Method,
    headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) other_body: String,
    pub(crate) new_body: Option<String>,
    pub(crate) concurrent_body: Option<String>,
    pub(crate) probe: Option<EffectProbe>,
}

impl Target {
    pub(crate) fn new(args: VerifyArgs) -> Result<Self, Trouble> {
        if args.body == args.other_body {
            return Err(Trouble::new("--body and --other-body are the same; make them differ"));
        }
        let mut headers = from_variables(&args.header_variables)?;
        for (name, value) in &args.headers {
            add(&mut headers, name, value)?;
        }
        if headers.contains_key(KEY) {
            return Err(Trouble::new("the header Idempotency-Key is this command's own; leave it out"));
        }
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        let probe = match args.probe {
            Some(url) => {
                let headers = from_variables(&args.probe_header_variables)?;
                Some(EffectProbe { client: client(&url, args.timeout)?, url, headers, pointer: args.probe_pointer })
            }
            None => None,
        };
        Ok(Self {
            client: client(&args.url, args.timeout)?,
            url: args.url,
            method: args.method,
            headers,
            body: args.body,
            other_body: args.other_body,
            new_body: args.new_body,
            concurrent_body: args.concurrent_body,
            probe,
        })
    }

    /// Sends one request.
    pub(crate) async fn ask(&self, key: Option<&str>, body: &str) -> Result<EndpointAnswer, Trouble> {
        let request = self.client.request(self.method.clone(), self.url.clone()).headers(self.headers.clone());
        let request = key.into_iter().fold(request.body(body.to_owned()), |request, key| request.header(KEY, key));
        EndpointAnswer::read(request.send().await.map_err(unanswered)?).await
    }
}

/// A key that no request has used.
pub(crate) fn new_key() -> String {
    let digits: [u8; 16] = rand::make_rng::<StdRng>().random();
    format!("payproof-verify-{}", URL_SAFE_NO_PAD.encode(digits))
}

/// No redirects, which would carry the headers elsewhere, and no retries, which would be duplicates of their own.
fn client(url: &Url, timeout: Duration) -> Result<Client, Trouble> {
    let builder = Client::builder()
        .user_agent(concat!("payproof/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .timeout(timeout);
    // Plain http goes to this machine or its neighbors: it needs no roots, and no proxy shall see the headers.
    let secure =
        |builder: ClientBuilder| if url.scheme() == "https" { builder } else { builder.tls_certs_only([]).no_proxy() };
    secure(builder).build().map_err(|error| Trouble::because("the HTTP client cannot be made", &error.without_url()))
}

fn from_variables(variables: &[(String, String)]) -> Result<HeaderMap, Trouble> {
    let mut headers = HeaderMap::new();
    for (name, variable_name) in variables {
        let unset = || Trouble::new(format!("{variable_name} is not set; it holds the header {name}"));
        add(&mut headers, name, &variable(variable_name)?.ok_or_else(unset)?)?;
    }
    Ok(headers)
}

fn add(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Trouble> {
    let wrong = || Trouble::new(format!("the value of the header {name} cannot be sent; it must be one line of ASCII"));
    let name: HeaderName = name.parse().map_err(|_| wrong())?;
    let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
    value.set_sensitive(true);
    headers.append(name, value);
    Ok(())
}
