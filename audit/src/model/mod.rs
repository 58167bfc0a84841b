//! What the audit knows of a file, of a route, and what it says of them. No language has a word in here.

mod code;
mod event;
mod facts;
mod finding;
mod names;
mod route;
mod rule;
mod sources;
mod span;

pub use code::{
    Argument, Binary, Block, CallExpr, ClassId, Expr, Field, FunctionId, Literal, Pattern, PatternField, Step, Unary,
};
pub use event::{Answered, Claimed, Effect, Event, EventKind, ProviderCall, ProviderKey, RequestAmount};
pub use facts::{Class, Comment, Export, FileFacts, Function, Import, Imported, Language, Param, ParamKind, RouteFact};
pub use finding::{Evidence, Finding};
pub use names::Names;
pub use route::{Judgment, Route};
pub use rule::{Rule, Severity};
pub use sources::Sources;
pub use span::Span;
