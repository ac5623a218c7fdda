//! Components that are made to be hard on whoever looks at them: nested, endless, wide.
//! Each is refused, or loaded and unable to describe itself; never more.

use std::sync::Arc;

use guest_tests::{Stage, describing};
use wasm_encoder::{
    Component, ComponentTypeSection, ComponentValType, CustomSection, Module, ModuleSection, NestedComponentSection,
    PrimitiveValType,
};

/// What the host makes of it, while the neighbour works.
async fn refused(wasm: Vec<u8>) -> String {
    let stage = Stage::open().await;
    stage.refusal(wasm).await.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn components_within_components() {
    let inner = nested(5_000);
    let told = refused(inner.finish()).await;
    assert!(told.contains("exports no sluicegate:connector/manifest@0.1.0"), "{told}");
    let mut outer = Component::new();
    outer.section(&NestedComponentSection(&nested(5_000)));
    let told = refused(connected(outer)).await;
    assert!(told.contains("manifest@0.1.0 is not the contract's"), "{told}");
    assert!(told.contains("does not have export `describe`"), "looked at to its end, on whatever stack: {told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_modules() {
    let mut component = Component::new();
    let module = Module::new();
    for _ in 0..20_000 {
        component.section(&ModuleSection(&module));
    }
    let told = refused(connected(component)).await;
    assert!(told.contains("modules count"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_that_double() {
    let mut component = Component::new();
    let mut types = ComponentTypeSection::new();
    let mut last = ComponentValType::Primitive(PrimitiveValType::U8);
    for index in 0..64 {
        types.defined_type().tuple([last; 2]);
        last = ComponentValType::Type(index);
    }
    component.section(&types);
    let told = refused(connected(component)).await;
    assert!(told.contains("effective type size exceeds the limit"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_bytes_than_are_looked_at() {
    let mut component = Component::new();
    let data = vec![0; 33 << 20];
    component.section(&CustomSection { name: "ballast".into(), data: data.into() });
    let told = refused(component.finish()).await;
    assert!(told.contains("more than the 33554432 that are compiled"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_length_that_lies() {
    for lying in [&[0x01, 0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0x04, 0x80, 0x80, 0x80, 0x80, 0x7f], &[0x0b, 0x02, 0xff]]
    {
        let wasm = [&b"\0asm\x0d\0\x01\0"[..], lying].concat();
        let told = refused(wasm).await;
        assert!(told.contains("not a valid component"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ballast_beside_a_connector_is_only_weight() {
    let stage = Arc::new(Stage::open().await);
    let module = format!(
        "(module (memory (export \"memory\") 1) {}
            (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (func (export \"sluicegate:connector/actions@0.1.0#invoke\") (param i32 i32 i32 i32) (result i32) unreachable))",
        describing("ballast"),
    );
    let mut wasm = guest_tests::connector(wat::parse_str(module).expect("a module"));
    let ballast = CustomSection { name: "ballast".into(), data: vec![0xff; 20 << 20].into() };
    wasm.push(0);
    wasm_encoder::Encode::encode(&ballast, &mut wasm);
    let attempt = stage.attempt(wasm, true).await.expect("no harm");
    assert_eq!(
        (attempt.load.as_str(), attempt.describe.as_deref(), attempt.call.as_deref()),
        ("loaded", Some("described"), Some("crashed"))
    );
}

/// Components within one another.
fn nested(depth: usize) -> Component {
    let mut inner = Component::new();
    for _ in 0..depth {
        let mut outer = Component::new();
        outer.section(&NestedComponentSection(&inner));
        inner = outer;
    }
    inner
}

/// The component with the export of a connector, so that it is looked at whole.
fn connected(component: Component) -> Vec<u8> {
    let mut wasm = component.finish();
    // An empty instance under the manifest's name: the wrong type, found last.
    let tail =
        wat::parse_str("(component (instance $i) (export \"sluicegate:connector/manifest@0.1.0\" (instance $i)))");
    wasm.extend_from_slice(&tail.expect("a component")[8..]);
    wasm
}
