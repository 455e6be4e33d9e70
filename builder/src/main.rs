//! The program `coracle`.

fn main() {}
