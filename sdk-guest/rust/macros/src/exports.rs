//! What `connector!` makes of the functions it lists: dispatch, and the exports of the
//! component, which are those of what is declared and no others.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use crate::connector::Declaration;

/// The functions of `Connector` that are not left to refuse.
pub(crate) fn functions(declaration: &Declaration) -> TokenStream {
    let parts = [
        invoke(declaration),
        receive(declaration),
        check(declaration),
        poll(declaration),
        subscription(declaration),
        discovery(declaration),
        migrate(declaration),
    ];
    quote! { #(#parts)* }
}

fn invoke(Declaration { actions, .. }: &Declaration) -> Option<TokenStream> {
    (!actions.is_empty()).then(|| {
        quote! {
            fn invoke(operation: &str, input: &str) -> ::sluicegate_sdk::Result<::std::string::String> {
                #(if operation == <#actions as ::sluicegate_sdk::Action>::ID {
                    return ::sluicegate_sdk::private::invoke::<#actions>(input);
                })*
                ::core::result::Result::Err(::sluicegate_sdk::Error::permanent(
                    ::std::format!("this connector has no action {operation:?}"),
                ))
            }
        }
    })
}

fn receive(Declaration { triggers, .. }: &Declaration) -> Option<TokenStream> {
    (!triggers.is_empty()).then(|| {
        quote! {
            fn receive(
                trigger: &str,
                config: &str,
                delivery: &::sluicegate_sdk::Delivery,
            ) -> ::sluicegate_sdk::Result<::std::vec::Vec<::sluicegate_sdk::Event>> {
                #(if trigger == <#triggers as ::sluicegate_sdk::Trigger>::ID {
                    return ::sluicegate_sdk::private::receive::<#triggers>(config, delivery);
                })*
                ::core::result::Result::Err(::sluicegate_sdk::Error::permanent(
                    ::std::format!("this connector has no trigger {trigger:?}"),
                ))
            }
        }
    })
}

fn check(Declaration { check, .. }: &Declaration) -> Option<TokenStream> {
    check.as_ref().map(|check| {
        quote! {
            fn check() -> ::sluicegate_sdk::Result<::std::string::String> {
                <#check as ::sluicegate_sdk::Check>::test()
            }
        }
    })
}

fn poll(Declaration { polls, .. }: &Declaration) -> Option<TokenStream> {
    (!polls.is_empty()).then(|| {
        quote! {
            fn poll(
                trigger: &str,
                config: &str,
                from: &::sluicegate_sdk::poll::Position,
            ) -> ::sluicegate_sdk::Result<::sluicegate_sdk::poll::FoundPage> {
                #(if trigger == <#polls as ::sluicegate_sdk::poll::Poll>::ID {
                    return ::sluicegate_sdk::private::poll::<#polls>(config, from);
                })*
                ::core::result::Result::Err(::sluicegate_sdk::Error::permanent(
                    ::std::format!("this connector does not poll {trigger:?}"),
                ))
            }
        }
    })
}

/// One type serves every webhook trigger of the connector.
fn subscription(Declaration { subscription, .. }: &Declaration) -> Option<TokenStream> {
    subscription.as_ref().map(|kind| {
        quote! {
            fn subscribe(
                trigger: &str,
                config: &str,
                callback: &::sluicegate_sdk::Callback,
            ) -> ::sluicegate_sdk::Result<::sluicegate_sdk::Subscribed> {
                let config = ::sluicegate_sdk::private::config(config)?;
                <#kind as ::sluicegate_sdk::Subscription>::subscribe(trigger, &config, callback)
            }

            fn renew(
                trigger: &str,
                config: &str,
                callback: &::sluicegate_sdk::Callback,
                handle: &str,
            ) -> ::sluicegate_sdk::Result<::sluicegate_sdk::Subscribed> {
                let config = ::sluicegate_sdk::private::config(config)?;
                <#kind as ::sluicegate_sdk::Subscription>::renew(trigger, &config, callback, handle)
            }

            fn unsubscribe(trigger: &str, config: &str, handle: &str) -> ::sluicegate_sdk::Result<()> {
                let config = ::sluicegate_sdk::private::config(config)?;
                <#kind as ::sluicegate_sdk::Subscription>::unsubscribe(trigger, &config, handle)
            }
        }
    })
}

fn discovery(Declaration { discovery, .. }: &Declaration) -> Option<TokenStream> {
    discovery.as_ref().map(|discovery| {
        let (choices, fields) = (&discovery.choices, &discovery.fields);
        quote! {
            fn choices(
                field: &str,
                config: &str,
                query: &str,
                page: ::core::option::Option<&str>,
            ) -> ::sluicegate_sdk::Result<::sluicegate_sdk::Offers> {
                #(if field == <#choices as ::sluicegate_sdk::Choices>::ID {
                    return ::sluicegate_sdk::private::list::<#choices>(config, query, page);
                })*
                let _ = (config, query, page);
                ::core::result::Result::Err(::sluicegate_sdk::Error::permanent(
                    ::std::format!("this connector knows no choices for {field:?}"),
                ))
            }

            fn fields(object: &str, config: &str) -> ::sluicegate_sdk::Result<::std::string::String> {
                #(if object == <#fields as ::sluicegate_sdk::Fields>::ID {
                    return ::sluicegate_sdk::private::fields::<#fields>(config);
                })*
                let _ = config;
                ::core::result::Result::Err(::sluicegate_sdk::Error::permanent(
                    ::std::format!("this connector knows no fields of {object:?}"),
                ))
            }
        }
    })
}

fn migrate(Declaration { migrations, .. }: &Declaration) -> Option<TokenStream> {
    (!migrations.is_empty()).then(|| {
        quote! {
            fn migrate(
                operation: &str,
                config: &str,
                from_version: &str,
            ) -> ::sluicegate_sdk::Result<::std::string::String> {
                #(if operation == <#migrations as ::sluicegate_sdk::Migrate>::OPERATION {
                    return ::sluicegate_sdk::private::migrate::<#migrations>(config, from_version);
                })*
                ::core::result::Result::Err(::sluicegate_sdk::Error::permanent(
                    ::std::format!("this connector carries nothing over for {operation:?}"),
                ))
            }
        }
    })
}

/// The export macros carry the component's type, so only those of what is declared
/// may be called: the component then exports exactly that.
pub(crate) fn exports(declaration: &Declaration) -> TokenStream {
    let worlds = [
        ("describes", true),
        ("acts", !declaration.actions.is_empty()),
        ("receives", !declaration.triggers.is_empty()),
        ("checks", declaration.check.is_some()),
        ("polls", !declaration.polls.is_empty()),
        ("subscribes", declaration.subscription.is_some()),
        ("discovers", declaration.discovery.is_some()),
        ("migrates", !declaration.migrations.is_empty()),
    ];
    let exports = worlds.iter().filter(|(_, declared)| *declared).map(|(world, _)| {
        let world = Ident::new(world, Span::call_site());
        quote! { ::sluicegate_sdk::bindings::#world::export!(Exported with_types_in ::sluicegate_sdk::bindings::#world); }
    });
    quote! {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "generated bindings cross the component boundary through raw memory")]
        const _: () = {
            type Exported = ::sluicegate_sdk::private::Exported<Connector>;
            #(#exports)*
        };
    }
}
