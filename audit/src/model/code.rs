//! A function's body, as far as the audit needs it: expressions and steps in the order of evaluation.
//!
//! Comments are gone, and texts are literals, so that neither can pass for a check.

use super::Span;

/// Which of [`super::FileFacts::functions`].
pub type FunctionId = usize;

/// Which of [`super::FileFacts::classes`].
pub type ClassId = usize;

/// Steps, one after the other.
pub type Block = Vec<Step>;

/// Something that is evaluated.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// What was not understood, or is nested too deep.
    Opaque(Span),
    /// A local, an import, or a global.
    Name(String, Span),
    /// `this`, `self`.
    This,
    /// A text, number, or other constant.
    Literal(Literal),
    /// Parts that are joined into one text; also tagged templates, after their tag became a [`Expr::Call`].
    Template(Vec<Expr>),
    /// `object.name`, `object?.name`.
    Member(Box<Expr>, String, Span),
    /// `object[index]`.
    Index(Box<Expr>, Box<Expr>, Span),
    /// A call, `new` too.
    Call(Box<CallExpr>),
    /// An object or a struct literal.
    Object(Vec<Field>, Span),
    /// A value of a type, with the fields of an object: `Type { field: value }`.
    Struct(Box<Expr>, Box<Expr>),
    /// An array, a tuple, a set of children.
    Array(Vec<Argument>),
    /// An operator with two sides. `&&`, `||`, `??` evaluate the right side only at times.
    Binary(Binary, Box<Expr>, Box<Expr>, Span),
    /// An operator with one side.
    Unary(Unary, Box<Expr>),
    /// `condition ? yes : no`, or an `if` or `match` that yields a value.
    Choice(Box<Expr>, Box<Expr>, Box<Expr>),
    /// An assignment; the operator of `+=` and the like.
    Assign(Box<Pattern>, Option<Binary>, Box<Expr>),
    /// A closure, or a function that is an expression.
    Function(FunctionId),
    /// A class that is an expression.
    Class(ClassId),
    /// `await`: yields what was awaited.
    Await(Box<Expr>),
    /// Returns early if the value is an error, else yields what is in it: `?` in Rust.
    Try(Box<Expr>),
    /// `yield`, `satisfies`, casts: yields its operand.
    Same(Box<Expr>),
    /// Several, of which the last is yielded.
    Sequence(Vec<Expr>),
}

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// A text, without its quotes, escapes as written.
    Text(String),
    /// A number, as written.
    Number(String),
    /// `true`, `false`.
    Bool(bool),
    /// `null`, `undefined`, `None`, `()`.
    Nothing,
    /// A regular expression.
    Pattern,
}

/// A call.
#[derive(Debug, Clone, PartialEq)]
pub struct CallExpr {
    /// What is called: a [`Expr::Name`] or [`Expr::Member`] as a rule.
    pub callee: Expr,
    /// What it is given.
    pub arguments: Vec<Argument>,
    /// Whether it is `new`.
    pub constructs: bool,
    /// Whether it is in a template's place: ``sql`…` ``; the one argument is then a [`Expr::Template`].
    pub tagged: bool,
    /// The whole call.
    pub span: Span,
    /// The callee's last name, where findings point to.
    pub at: Span,
}

/// An argument of a call, or an element of an array.
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    /// One value.
    One(Expr),
    /// `...values`.
    Spread(Expr),
}

/// A field of an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// `name: value`, `name`, `"name": value`, and methods.
    Named(String, Expr, Span),
    /// `[name]: value`.
    Computed(Expr, Expr),
    /// `...value`.
    Spread(Expr),
}

/// What the audit tells apart of operators with two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`, `/`, `%`, `**`.
    Multiply,
    /// `==`, `===`.
    Equal,
    /// `!=`, `!==`.
    Unequal,
    /// `<`, `<=`, `>`, `>=`.
    Order,
    /// `&&`.
    And,
    /// `||`.
    Or,
    /// `??`.
    Coalesce,
    /// `in`, `instanceof`, bits.
    Other,
}

/// What the audit tells apart of operators with one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unary {
    /// `!`.
    Not,
    /// `-`, `+`, `~`, `typeof`, `void`, `delete`, `&`, `*`.
    Other,
}

/// What receives a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Pattern {
    /// A name.
    Name(String, Span),
    /// `{ a, b: c, d = 1, ...rest }`, and struct patterns.
    Object(Vec<PatternField>),
    /// `[a, b, ...rest]`, tuples, and `Some(x)`; an empty place is a [`Pattern::Ignored`].
    Array(Vec<Pattern>),
    /// `pattern = value`.
    Default(Box<Pattern>, Box<Expr>),
    /// The rest of an object or array.
    Rest(Box<Pattern>),
    /// A member or an index that is assigned to.
    Place(Box<Expr>),
    /// `_`, or something not understood.
    Ignored,
}

/// A field of an object pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct PatternField {
    /// The field that is taken.
    pub name: String,
    /// What receives it.
    pub into: Pattern,
}

/// A step of a body.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A declaration.
    Let(Pattern, Option<Expr>, Span),
    /// An expression whose value is dropped.
    Expr(Expr, Span),
    /// `return`.
    Return(Option<Expr>, Span),
    /// `throw`, `panic!`.
    Throw(Expr, Span),
    /// `break` and `continue`: ends this run of a loop's body, or a case of a switch.
    Leave,
    /// `if`.
    If(Expr, Block, Block, Span),
    /// A loop. What it goes over, and what receives each element.
    Loop(Option<(Pattern, Expr)>, Block, Span),
    /// `switch`, `match`: the value, then for each case its values (none: default) and its body.
    Switch(Expr, Vec<(Vec<Expr>, Block)>, Span),
    /// `try`, what catches, `finally`.
    Try(Block, Option<(Option<Pattern>, Block)>, Block),
    /// A block with a scope of its own.
    Block(Block),
    /// A function with a name, which is known in its whole block.
    Function(String, FunctionId),
    /// A class with a name.
    Class(String, ClassId),
}
