//! Calls that have no effect the rules ask for: the language's own, schemas, dates, logs.

use super::Follower;
use super::calls::Site;
use super::origins::Origins;
use super::value::{Shape, Value, total};
use super::words::{has_word, last_part};

/// Packages without effects on payments, orders or sessions.
const PACKAGES: &[&str] = &[
    "zod",
    "yup",
    "joi",
    "valibot",
    "ajv",
    "validator",
    "lodash",
    "date-fns",
    "dayjs",
    "moment",
    "slugify",
    "bcrypt",
    "bcryptjs",
    "argon2",
    "chalk",
    "pino",
    "winston",
    "sharp",
    "path",
    "url",
    "querystring",
    "qs",
    "http-errors",
    "class-validator",
    "react",
    "cors",
    "helmet",
    "morgan",
    "compression",
    "cookie-parser",
    "dotenv",
    "ms",
    "superjson",
    "drizzle-orm",
    "decimal.js",
    "big.js",
    "currency.js",
    "bignumber.js",
    "express-validator",
    "express-rate-limit",
    "multer",
    "util",
    "assert",
    "os",
    "buffer",
    "stream",
    "crypto",
    "jsonwebtoken",
    "jose",
    "cookie",
    "nprogress",
    "clsx",
    "swr",
    "axios",
    "node-fetch",
    "http-status",
    "http-status-codes",
    "hono",
    "colors",
    "express-async-handler",
    "express",
    "body-parser",
    "next",
    "sanitize-html",
    "validator",
    "lodash.get",
    "change-case",
    "pluralize",
    "ramda",
    "type-fest",
    "p-limit",
    "express-mongo-sanitize",
    "hpp",
    "xss-clean",
    "cookies",
    "nookies",
    "serve-static",
    "mongoose",
    "csurf",
    "passport",
    "express-session",
    "connect-mongo",
    "cookie-session",
    "swagger-ui-express",
    "method-override",
    "connect-flash",
    "lusca",
    "nextjs-cors",
    "micro-cors",
    "express-fileupload",
    "formidable",
    "busboy",
    "rate-limiter-flexible",
];
/// Scopes of such packages.
const SCOPES: &[&str] = &[
    "next/",
    "@sentry/",
    "@vercel/",
    "@hono/",
    "@fastify/",
    "@paralleldrive/",
    "lodash/",
    "@upstash/ratelimit",
    "@t3-oss/",
    "react-",
    "next-intl",
    "drizzle-orm/",
    "drizzle-zod",
    "@react-email/",
    "hono/",
    "date-fns/",
    "@arcjet/",
    "posthog",
    "@koa/cors",
    "koa-",
    "@types/",
    "zod-",
    "@hookform/",
    "node:",
];
/// Words of names without effects.
const WORDS: &[&str] = &[
    "log",
    "logger",
    "warn",
    "debug",
    "info",
    "console",
    "track",
    "format",
    "revalidate",
    "redirect",
    "sleep",
    "delay",
    "translate",
    "cn",
    "slug",
    "exception",
    "sentry",
    "dayjs",
    "connect",
    "disconnect",
    "limit",
    "limiter",
    "ratelimit",
    "rate",
    "metric",
    "span",
    "tracer",
    "analytics",
    "cors",
    "helmet",
    "morgan",
    "compression",
    "parse",
    "sanitize",
    "schema",
    "zod",
    "validator",
    "joi",
    "yup",
    "hash",
    "slugify",
    "startcase",
    "trim",
    "upload",
    "multer",
    "cookie",
    "setheader",
];

impl Follower<'_> {
    pub(crate) fn harmless_call(
        &mut self,
        path: &str,
        function: &Value,
        given: &[Value],
        site: &Site<'_>,
    ) -> Option<Value> {
        self.language_call(path, given, site)
            .or_else(|| self.framework_call(path, given, site))
            .or_else(|| self.schema_call(path, given))
            .or_else(|| self.made(path, given, site))
            .or_else(|| self.package_call(path, function, given, site))
    }

    fn language_call(&mut self, path: &str, given: &[Value], site: &Site<'_>) -> Option<Value> {
        let first = given.first().cloned().unwrap_or_default();
        let (object, last) = path.rsplit_once('.').unwrap_or(("", path));
        // What only holds a value is that value: `Some(amount)`, SeaORM's `Set(total)`.
        if given.len() == 1
            && !site.constructs
            && matches!(last, "Some" | "Ok" | "Set" | "Unchanged")
            && (object.is_empty() || object.ends_with("ActiveValue") || object.contains("sea_orm"))
        {
            return Some(first);
        }
        match (object, last) {
            ("JSON", "parse") => {
                let mut value = Value { shape: Shape::Unknown, text: None, ..first.whole() };
                if value.from.has(Origins::RAW) {
                    value.from = value.from.without(Origins::RAW).and(Origins::PARSED);
                }
                Some(value)
            }
            ("JSON", "stringify") => {
                let whole =
                    first.places.as_ref().is_some_and(|places| places.iter().any(|place| place.as_ref() == "body"));
                let from = if whole { first.from | Origins::PARSED } else { first.from };
                Some(Value { from, ..first })
            }
            ("Object", "freeze" | "entries" | "values" | "keys" | "assign" | "fromEntries" | "create") => {
                Some(self.object_call(last, given))
            }
            ("Promise", "all" | "allSettled" | "race" | "any" | "resolve") | ("Array", "of" | "isArray") => Some(first),
            ("Array", "from") => match given.get(1) {
                Some(function) if function.is_function() => {
                    let element = self.element(&first);
                    let function = function.clone();
                    let yielded =
                        self.repeatedly(|follower| follower.apply(&function, vec![element], site.frame, site.span));
                    Some(Value::list(vec![yielded]))
                }
                _ => Some(first),
            },
            ("Promise", "reject") => Some(Value::default()),
            (
                "Math" | "Number" | "Buffer" | "String" | "Uint8Array" | "Intl" | "Symbol" | "Reflect" | "Decimal"
                | "Money",
                _,
            )
            | (
                "",
                "Number" | "parseInt" | "parseFloat" | "String" | "Boolean" | "BigInt" | "encodeURIComponent"
                | "decodeURIComponent" | "structuredClone" | "isNaN" | "Decimal" | "Some" | "Ok" | "Err" | "Box"
                | "Arc" | "atob" | "btoa" | "URL" | "Blob" | "File" | "RegExp" | "Date" | "Uint8Array"
                | "AbortController" | "TextEncoder" | "TextDecoder" | "Array" | "Object" | "Proxy",
            ) => Some(total(given)),
            ("", "Map" | "Set" | "FormData" | "URLSearchParams" | "Headers" | "WeakMap" | "Request") => {
                Some(self.container(given))
            }
            ("", "Promise") => {
                let function = first;
                let settle = Value::shaped(Shape::Next);
                Some(self.apply(&function, vec![settle.clone(), settle], site.frame, site.span))
            }
            ("" | "window" | "globalThis", "setTimeout" | "setInterval" | "setImmediate" | "queueMicrotask") => {
                self.perhaps(|follower| follower.run_given(given, &[], site));
                Some(Value::default())
            }
            _ => None,
        }
    }

    /// Schemas: what is parsed is what was given.
    fn schema_call(&mut self, path: &str, given: &[Value]) -> Option<Value> {
        let last = last_part(path);
        let first = given.first()?;
        let schema = has_word(path, &["zod", "schema", "yup", "joi", "valibot", "validator", "z", "dto", "v"])
            || path.starts_with('?');
        if first.from == Origins::NONE && !matches!(first.shape, Shape::Object(_)) {
            return None;
        }
        if !schema && !matches!(last, "safeParse" | "safeParseAsync" | "parseAsync") {
            return None;
        }
        match last {
            "safeParse" | "safeParseAsync" | "safe_parse" => {
                let fields = [
                    ("data", first.clone()),
                    ("output", first.clone()),
                    ("success", Value::default()),
                    ("error", Value::default()),
                ];
                Some(Value::object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
            }
            "validate" if has_word(path, &["joi"]) || path.contains("joi") => {
                let fields = [("value", first.clone()), ("error", Value::default())];
                Some(Value::object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
            }
            "parse" | "parseAsync" | "validate" | "validateSync" | "validateAsync" | "cast" | "strip" => {
                Some(first.clone())
            }
            _ => None,
        }
    }

    /// An instance of a class from outside, and factories of clients.
    fn made(&mut self, path: &str, given: &[Value], site: &Site<'_>) -> Option<Value> {
        let last = last_part(path);
        let factory = (last.starts_with("create")
            || last.starts_with("get")
            || last.starts_with("init")
            || last.starts_with("use"))
            && has_word(
                last,
                &[
                    "client",
                    "pool",
                    "connection",
                    "db",
                    "database",
                    "app",
                    "firestore",
                    "supabase",
                    "prisma",
                    "redis",
                    "stripe",
                    "instance",
                    "logger",
                    "storage",
                    "translation",
                    "transport",
                ],
            );
        if !(site.constructs || factory || path.ends_with("axios.create") || path == "axios#default.create") {
            return None;
        }
        let made = if path.contains("axios") {
            let base = given.first().and_then(|first| first.field("baseURL"));
            let base = base.and_then(|base| base.text).unwrap_or_else(|| "".into());
            format!("axios.create({})", base.replace('.', "_"))
        } else {
            format!("{path}()")
        };
        // What a new document is made of is what is saved later.
        if site.constructs
            && let Some(Shape::Object(object)) = given.first().map(|first| &first.shape)
        {
            let fields = object.fields.borrow().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            self.run.assigned.insert(made.clone(), fields);
        }
        let sum =
            if site.constructs && !has_word(path, &["error", "exception"]) { total(given) } else { Value::default() };
        let keeps = sum.from.without(Origins::LITERAL.and(Origins::SETTING));
        Some(Value { from: keeps, text: None, shape: Value::foreign(&made).shape, ..sum })
    }

    fn package_call(&mut self, path: &str, function: &Value, given: &[Value], site: &Site<'_>) -> Option<Value> {
        let last = last_part(path);
        let is_setting = function.from.has(Origins::SETTING);
        let known = is_harmless_package(path)
            || has_word(last, WORDS)
            || has_word(
                path.split('.').next().unwrap_or_default(),
                &["console", "logger", "log", "res", "response", "error", "math"],
            )
            || is_setting
            || function.from.has(
                Origins::PROVIDER.and(Origins::STORED).and(Origins::SESSION).and(Origins::CLOCK).and(Origins::RANDOM),
            );
        if !known {
            return None;
        }
        if let Some(wrapped) = Value::wrapping("asyncHandler", given) {
            if self.run.loading || site.wraps {
                return Some(wrapped);
            }
            self.perhaps(|follower| follower.run_given(given, &[], site));
        }
        let sum = total(given);
        let from = function.from | sum.from;
        Some(Value { from, ..sum }.called(path))
    }
}

/// Whether a path leads into a package without effects that the rules ask for.
pub(crate) fn is_harmless_package(path: &str) -> bool {
    let package = path.split_once('#').map(|(package, _)| package).unwrap_or_default();
    let bare = package.strip_prefix("node:").unwrap_or(package);
    PACKAGES.contains(&bare) || (!package.is_empty() && SCOPES.iter().any(|scope| package.starts_with(scope)))
}
