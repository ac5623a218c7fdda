//! Makes a component of a guest's functions.

/// `guest!(act)` exports a manifest that declares one action, and that action;
/// `guest!(act, describe)` does so with a manifest of the guest's own.
#[macro_export]
macro_rules! guest {
    ($act:path) => {
        $crate::guest!($act, || $crate::describe(env!("CARGO_PKG_NAME")));
    };
    ($act:path, $describe:expr) => {
        struct Guest;

        impl $crate::manifest::Guest for Guest {
            fn describe() -> String {
                let describe: fn() -> String = $describe;
                describe()
            }
        }

        impl $crate::actions::Guest for Guest {
            fn invoke(_operation: String, input: String) -> Result<String, $crate::Error> {
                $act(&input)
            }
        }

        $crate::export!(describes, acts);
    };
}

/// Exports these worlds of the type `Guest`.
#[macro_export]
macro_rules! export {
    ($($world:ident),*) => {
        #[allow(unsafe_code, reason = "generated bindings cross the component boundary through raw memory")]
        const _: () = {
            $($crate::bindings::$world::export!(Guest with_types_in $crate::bindings::$world);)*
        };
    };
}
