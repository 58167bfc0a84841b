//! Which files may hold routes, by their names or by words in them. Everything else is read when something imports it.

use memchr::memmem;

/// What a file may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// Routes in TypeScript or JavaScript.
    Script,
    /// Routes in Rust.
    Rust,
    /// A description of an API in OpenAPI.
    OpenApi,
}

/// Endings of files in TypeScript and JavaScript.
pub const SCRIPTS: &[&str] = &["ts", "tsx", "mts", "cts", "js", "jsx", "mjs", "cjs"];

/// Words of the frameworks whose routes are declared in any file, and of server actions.
const ROUTERS: &[&str] = &[
    "express",
    "hono",
    "Hono",
    "Router(",
    "fastify",
    "use server",
    "Deno.serve",
    "http/server.ts",
    "koa",
    "@Controller(",
    "async fetch(",
    "firebase-functions",
];

/// Words of frameworks whose routes are not read, each with its name.
const UNKNOWN: &[(&str, &str)] = &[
    ("@nestjs/graphql", "NestJS"),
    ("@nestjs/microservices", "NestJS"),
    ("@trpc/server", "tRPC"),
    ("@apollo/server", "Apollo"),
    ("@adonisjs/", "AdonisJS"),
    ("@feathersjs/", "Feathers"),
    ("@loopback/", "LoopBack"),
    ("from 'elysia'", "Elysia"),
    ("from \"elysia\"", "Elysia"),
    ("aws-lambda", "AWS Lambda"),
    ("createServerFn", "TanStack Start"),
    ("createFileRoute('/api", "TanStack Start"),
    ("createAPIFileRoute", "TanStack Start"),
    ("createServerFileRoute", "TanStack Start"),
    ("convex/server", "Convex"),
    ("@hapi/hapi", "hapi"),
    ("actix_web::", "actix-web"),
    ("rocket::", "Rocket"),
    ("warp::", "warp"),
    ("poem::", "poem"),
];

/// Whether a file is asked for its routes, by its name and its text.
#[must_use]
pub fn candidate(name: &str, text: &str) -> Option<Candidate> {
    let holds = |word: &&str| memmem::find(text.as_bytes(), word.as_bytes()).is_some();
    match ending(name) {
        _ if is_test(name) => None,
        "rs" => holds(&"axum").then_some(Candidate::Rust),
        "yaml" | "yml" | "json" => holds(&"openapi").then_some(Candidate::OpenApi),
        ending if SCRIPTS.contains(&ending) => {
            let is_action =
                name.contains("routes/") && ["@remix-run/", "react-router"].iter().any(holds) && holds(&"action");
            (is_route_file(name) || is_action || ROUTERS.iter().any(holds)).then_some(Candidate::Script)
        }
        _ => None,
    }
}

/// The framework whose routes a file may declare without being read for them.
#[must_use]
pub fn unknown_framework(name: &str, text: &str) -> Option<&'static str> {
    if file(name) == "route.json" {
        return Some("route.json");
    }
    let is_source = !is_test(name) && (ending(name) == "rs" || SCRIPTS.contains(&ending(name)));
    let holds = |word: &str| memmem::find(text.as_bytes(), word.as_bytes()).is_some();
    UNKNOWN.iter().find(|(word, _)| is_source && holds(word)).map(|(_, framework)| *framework)
}

/// Whether a file's ending is one that may be asked for routes, so that its text is worth reading.
#[must_use]
pub fn may_be_candidate(name: &str) -> bool {
    let ending = ending(name);
    (SCRIPTS.contains(&ending) || matches!(ending, "rs" | "yaml" | "yml" | "json"))
        && !name.ends_with(".d.ts")
        && !name.ends_with(".min.js")
        && !matches!(file(name), "package-lock.json" | "package.json" | "tsconfig.json" | "pnpm-lock.yaml")
}

/// Files that are served by their names: `route` in an `app` folder, all in `pages/api`, and functions without a server.
fn is_route_file(name: &str) -> bool {
    let stem = file(name).split('.').next().unwrap_or_default();
    let within = |folder: &str| name.starts_with(folder) || name.contains(&format!("/{folder}"));
    let is_event_handler = within("server/routes/");
    stem.starts_with('+')
        || is_event_handler
        || (stem == "route" && within("app/"))
        || within("pages/api/")
        || within("functions/")
        || within("api/")
}

/// Tests start servers of their own, which serve no caller.
fn is_test(name: &str) -> bool {
    let file = file(name);
    file.contains(".test.")
        || file.contains(".spec.")
        || file.contains(".stories.")
        || name.split('/').any(|folder| matches!(folder, "__tests__" | "__mocks__"))
}

fn file(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// What follows the last dot of a file's name.
pub(crate) fn ending(name: &str) -> &str {
    file(name).rsplit_once('.').map_or("", |(_, ending)| ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_candidates_by_name_or_by_a_word() {
        for (name, text, found) in [
            ("app/api/orders/route.ts", "", Some(Candidate::Script)),
            ("src/app/route.js", "", Some(Candidate::Script)),
            ("pages/api/orders.ts", "", Some(Candidate::Script)),
            ("apps/web/pages/api/orders.ts", "", Some(Candidate::Script)),
            ("api/orders.js", "", Some(Candidate::Script)),
            ("netlify/functions/pay.mts", "", Some(Candidate::Script)),
            ("supabase/functions/paid/index.ts", "Deno.serve(paid)", Some(Candidate::Script)),
            ("lib/route.ts", "", None),
            ("server.mjs", "import express from 'express'", Some(Candidate::Script)),
            ("server.test.ts", "import express from 'express'", None),
            ("src/main.rs", "use axum::Router;", Some(Candidate::Rust)),
            ("src/main.rs", "fn main() {}", None),
            ("docs/api.yaml", "openapi: 3.1.0", Some(Candidate::OpenApi)),
            ("docs/api.yaml", "name: x", None),
            ("README.md", "openapi express axum", None),
        ] {
            assert_eq!(candidate(name, text), found, "{name}");
        }
    }

    #[test]
    fn lists_of_packages_are_not_read() {
        assert!(!may_be_candidate("package-lock.json"));
        assert!(!may_be_candidate("types/api.d.ts"));
        assert!(may_be_candidate("openapi.json"));
    }
}
