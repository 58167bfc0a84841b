//! What a file holds.

use super::{Block, Expr, FunctionId, Pattern, Span};

/// What a file holds, whatever its language.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileFacts {
    /// Relative to the audited tree, with `/`.
    pub path: String,
    /// What it is written in.
    pub language: Language,
    /// What it takes from other files and packages.
    pub imports: Vec<Import>,
    /// What it offers.
    pub exports: Vec<Export>,
    /// What runs when it is loaded: its declarations and calls.
    pub body: Block,
    /// Every function and closure of the file.
    pub functions: Vec<Function>,
    /// Every class of the file, and every type with methods.
    pub classes: Vec<Class>,
    /// Routes that the reader itself recognizes. Express and Hono leave this to the calls in [`FileFacts::body`].
    pub routes: Vec<RouteFact>,
    /// Comments that hold `payproof-allow`, with the comment's signs.
    pub comments: Vec<Comment>,
    /// Directives at the top, such as `use server`.
    pub directives: Vec<String>,
    /// The line and column of the first piece that the grammar did not understand, or that is nested too deep.
    pub not_read: Option<(u32, u32)>,
}

/// What a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// TypeScript and JavaScript, with or without JSX.
    #[default]
    Script,
    /// Rust.
    Rust,
}

/// A name that comes from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The name in this file; empty if it is only run.
    pub local: String,
    /// What of the module.
    pub what: Imported,
    /// The module, as written: `./lib/db`, `@/lib/db`, `stripe`.
    pub from: String,
    /// Where.
    pub span: Span,
}

/// What is imported of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    /// The export of that name; `default` for the default.
    Named(String),
    /// All of it, as one object: `import * as x`, `const x = require('…')`.
    All,
    /// Nothing: it only runs.
    Nothing,
}

/// What a file offers under a name.
#[derive(Debug, Clone, PartialEq)]
pub enum Export {
    /// A local of that name: `export { local as name }`.
    Local {
        /// The name others know; `default` for the default.
        name: String,
        /// The local.
        local: String,
    },
    /// An expression: `export default expression`, `module.exports = expression` (as `default` and for all names).
    Value {
        /// The name others know.
        name: String,
        /// What it is.
        value: Expr,
    },
    /// Of another file: `export { original as name } from '…'`.
    From {
        /// The name others know.
        name: String,
        /// Its name there; `*` for all of it as one object.
        original: String,
        /// The module, as written.
        from: String,
    },
    /// Everything of another file: `export * from '…'`.
    All {
        /// The module, as written.
        from: String,
    },
}

/// A function.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Function {
    /// Its name, or that of the variable or field it was given to; empty if it has none.
    pub name: String,
    /// What it is given.
    pub params: Vec<Param>,
    /// What it does. The value of `=> expression` is a last `return`.
    pub body: Block,
    /// Directives at its top, such as `use server`.
    pub directives: Vec<String>,
    /// Where it begins.
    pub span: Span,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// What receives it.
    pub pattern: Pattern,
    /// What the reader knows of it by its type or decorator.
    pub kind: ParamKind,
    /// The type's text, if it has one.
    pub type_name: Option<String>,
}

/// What a parameter holds, where the type tells (as axum's extractors do).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ParamKind {
    /// Nothing is known of it.
    #[default]
    Plain,
    /// The body as bytes or text.
    RawBody,
    /// The body, parsed.
    ParsedBody,
    /// The query.
    Query,
    /// Parts of the path.
    Path,
    /// The headers, or one typed header.
    Headers,
    /// The whole request.
    Request,
    /// Who is signed in: the extractor refuses others.
    Session,
    /// Who is signed in, if at all.
    OptionalSession,
    /// Which tenant.
    Tenant,
    /// The idempotency key; the extractor refuses a request without one.
    Key,
    /// State of the service: a database, a client.
    State,
}

/// A class, or a type with methods.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// What it extends, if that is an expression the reader knows.
    pub extends: Option<Expr>,
    /// Its methods, `constructor` (or `new`) among them.
    pub methods: Vec<(String, FunctionId)>,
    /// Its fields with their first values.
    pub fields: Vec<(String, Option<Expr>)>,
    /// Static fields and methods.
    pub statics: Vec<(String, Expr)>,
    /// Parameters of the constructor that become fields (`constructor(private db: Db)`): the name and the type.
    pub injected: Vec<(String, String)>,
}

/// A route that the reader recognized.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteFact {
    /// `POST`; `ANY` for all.
    pub method: String,
    /// The whole path, with `{id}` for parts that vary.
    pub path: String,
    /// What handles it.
    pub handler: Expr,
    /// Middleware and layers before it, the outermost first: functions that are given the request.
    pub before: Vec<Expr>,
    /// Whether one of the layers is payproof's layer of idempotent endpoints.
    pub guarded: bool,
    /// Where it is declared.
    pub span: Span,
}

/// A comment that may allow a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its line.
    pub line: u32,
    /// Its text, with its signs.
    pub text: String,
}
