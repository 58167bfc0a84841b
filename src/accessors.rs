//! Setters, getters and partial `Debug`, of which each line says one thing.

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

/// Getters: each shows what one expression over a value says.
macro_rules! getters {
    ($($(#[$attribute:meta])* $vis:vis fn $name:ident(&$self:ident) -> $type:ty => $shown:expr;)*) => {
        $(
            $(#[$attribute])*
            #[must_use]
            $vis fn $name(&$self) -> $type {
                $shown
            }
        )*
    };
}
pub(crate) use getters;

/// `Debug` that shows the named fields alone, and that there are others: secrets and machinery stay unshown.
macro_rules! partial_debug {
    ($name:ident $(<$($of:ident),+>)?, $self:ident => $($field:ident: $shown:expr),*) => {
        impl $(<$($of),+>)? std::fmt::Debug for $name $(<$($of),+>)? {
            fn fmt(&$self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name))$(.field(stringify!($field), &$shown))*.finish_non_exhaustive()
            }
        }
    };
}
pub(crate) use partial_debug;
