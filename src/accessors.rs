//! Names of variants, setters, getters and partial `Debug`, of which each line says one thing.

/// An enum with the stable name of each variant beside it, and the method that says the name.
macro_rules! named {
    ($(#[$attribute:meta])* $vis:vis enum $name:ident {
        $($(#[$about:meta])* $variant:ident $(($($of:ty),+))? = $text:literal,)+
    } $method:ident($this:ident: $by:ty)) => {
        $(#[$attribute])*
        $vis enum $name {
            $($(#[$about])* $variant $(($($of),+))?,)+
        }

        impl $name {
            /// A stable name, for API answers, logs and metrics.
            #[must_use]
            $vis const fn $method($this: $by) -> &'static str {
                match $this {
                    $(Self::$variant { .. } => $text,)+
                }
            }
        }
    };
}
pub(crate) use named;

/// `Display` that shows what `as_str` says.
macro_rules! display_as_str {
    ($name:ident) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use display_as_str;

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
