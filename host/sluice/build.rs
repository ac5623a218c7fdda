//! The embedded SDK and template are read by a macro that does not watch them.

fn main() {
    for folder in ["../../sdk-guest/rust", "../../sdk-guest/SAMPLES.md", "../../wit", "template"] {
        println!("cargo::rerun-if-changed={folder}");
    }
}
