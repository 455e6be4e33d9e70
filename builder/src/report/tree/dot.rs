//! The tree as a graph in Graphviz' language.
//!
//! Every identifier and label stands in quotes. In quotes only `"` and `\` mean something to the language,
//! and in labels `&` too, which starts an entity (graphviz.org, "The DOT Language", "escString"); so
//! whatever a file is called, the graph stays one.

use std::fmt::{self, Write as _};

use common::escape::Escaped;

use super::{Answer, Asked, Explained};
use crate::resolve::{Load, Origin, Program, Relation};

/// One directed graph, one cluster a program. Boxes are the program, ellipses objects, red dashed
/// boxes names that are missing or refused. Lines go from who needs to what answers: solid for
/// needed, dashed for the interpreter and preloads, dotted for the rest; grey where it was loaded
/// already, with the file that was not taken instead in its label.
pub fn dot(explained: &Explained) -> String {
    let mut text = String::from("digraph coracle {\n  rankdir=LR;\n  node [shape=ellipse];\n");
    for (number, program) in explained.closure.programs.iter().enumerate() {
        let cluster =
            Cluster { explained, number, program, text: &mut text, edges: String::new(), lost: 0 };
        cluster.write();
    }
    text.push_str("}\n");
    text
}

struct Cluster<'a, 't> {
    explained: &'a Explained,
    number: usize,
    program: &'a Program,
    text: &'t mut String,
    /// Lines of the edges, which come behind the cluster: what an edge names, a cluster would take in.
    edges: String,
    /// Names without a node of an object so far.
    lost: usize,
}

impl Cluster<'_, '_> {
    /// Writing to a string cannot fail.
    fn write(mut self) {
        let number = self.number;
        let program = format!("{} ({})", self.program.path, self.program.rules());
        let label = match &self.program.origin {
            Origin::Request { .. } => program,
            Origin::Shebang { script } | Origin::Env { script } => {
                format!("{program}, for {script}")
            }
            Origin::Note { by, feature, .. } => format!("{program}, for feature {feature} of {by}"),
        };
        let _ = writeln!(self.text, "  subgraph \"cluster_{number}\" {{");
        let _ = writeln!(self.text, "    label=\"{}\";", Quoted(&label));
        for (own, load) in self.program.loads.iter().enumerate() {
            self.node(own, load);
        }
        for (own, load) in self.program.loads.iter().enumerate() {
            if matches!(load.relation, Relation::Interpreter | Relation::Preload) {
                let (from, to) = (self.id(0), self.id(self.program.first + own));
                let word = load.relation;
                let _ = writeln!(self.edges, "  {from} -> {to} [style=dashed, label=\"{word}\"];");
            }
            for asked in self.explained.asked(number, own) {
                self.edge(own, &asked);
            }
        }
        let _ = writeln!(self.text, "  }}");
        self.text.push_str(&self.edges);
    }

    fn node(&mut self, own: usize, load: &Load) {
        let id = self.id(self.program.first + own);
        let shape = if own == 0 { ", shape=box" } else { "" };
        let package =
            self.explained.package(load).map(|package| format!("\n{}", package.words().join(" ")));
        let label = format!("{}{}", load.opened, package.unwrap_or_default());
        let _ = writeln!(self.text, "    {id} [label=\"{}\"{shape}];", Quoted(&label));
    }

    fn edge(&mut self, own: usize, asked: &Asked<'_>) {
        let from = self.id(self.program.first + own);
        let relation = asked.dependency.relation;
        let style = if relation == Relation::Needed { "solid" } else { "dotted" };
        let (instead, _) = self.explained.others(asked);
        let mut label = asked.dependency.name.to_string();
        if relation != Relation::Needed {
            let _ = write!(label, "\n{relation}");
        }
        let (to, colour) = match asked.answer {
            Answer::Found(to, load) => {
                let _ = write!(label, "\n{}", load.how);
                (self.id(to), "black")
            }
            Answer::Already(to, ..) => {
                if let Some(fit) = instead {
                    let _ = write!(label, "\ninstead of {}", fit.opened);
                }
                (self.id(to), "grey50")
            }
            Answer::Refused(refused) => (self.lost(&refused.path.to_string(), &refused.why), "red"),
            Answer::Missing => (self.lost(&asked.dependency.name.to_string(), "missing"), "red"),
        };
        let label = Quoted(&label);
        let _ = writeln!(
            self.edges,
            "  {from} -> {to} [style={style}, color={colour}, label=\"{label}\"];"
        );
    }

    /// A node for what could not be loaded.
    fn lost(&mut self, name: &str, why: &str) -> String {
        let id = format!("\"p{}x{}\"", self.number, self.lost);
        self.lost += 1;
        let label = format!("{name}\n{}", Escaped(why.as_bytes()));
        let label = Quoted(&label);
        let _ = writeln!(
            self.text,
            "    {id} [label=\"{label}\", shape=box, style=dashed, color=red, fontcolor=red];"
        );
        id
    }

    /// The node of a load; a module's program has a cluster of its own.
    fn id(&self, number: usize) -> String {
        let cluster = match self.program.context {
            Some(context) if number < self.program.first => context,
            _ => self.number,
        };
        format!("\"p{cluster}n{number}\"")
    }
}

/// Text inside of quotes; its own newlines become the label's.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '&' => f.write_str("&amp;")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
