//! Prints a component's imports and exports: `... --example interfaces -- FILE...`

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for path in std::env::args().skip(1) {
        let wasm = std::fs::read(&path)?;
        let found = sluicegate_conformance::interfaces(&wasm)?;
        println!("{path}: {} bytes", wasm.len());
        for (kind, names) in [("import", found.imports), ("export", found.exports)] {
            names.iter().for_each(|name| println!("  {kind} {name}"));
        }
    }
    Ok(())
}
