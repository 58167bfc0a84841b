//! Setters of one assignment, written as one line each.

/// Setters: each changes one field of a value and returns the value.
macro_rules! setters {
    ($($(#[$attribute:meta])* $vis:vis fn $name:ident(mut $self:ident $(, $arg:ident: $type:ty)*) => $set:expr;)*) => {
        $(
            $(#[$attribute])*
            #[must_use = "a setter returns the changed value"]
            $vis fn $name(mut $self $(, $arg: $type)*) -> Self {
                $set;
                $self
            }
        )*
    };
}
pub(crate) use setters;
