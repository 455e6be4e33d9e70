//! What was placed below a link goes to where the link leads: the image has one name for each file, whatever
//! way led there.

use common::tree::ImagePath;

use super::conflict::{Draft, Rank};
use super::error::PlanError;
use super::survey::Survey;
use super::{Entry, Node, Why};

impl Draft {
    /// Puts every entry where it is once all links of the image stand.
    pub(super) fn settle(&mut self, survey: &Survey) -> Result<(), PlanError> {
        self.merge_system_links(survey)?;
        self.settle_behind_links()
    }

    /// `/bin -> usr/bin` and its like, where the root has them and the image has what they lead to.
    fn merge_system_links(&mut self, survey: &Survey) -> Result<(), PlanError> {
        for (link, target) in &survey.system_links {
            let leads_to = ImagePath::root().join(target.as_bytes());
            let used = self.entries.keys().any(|path| {
                path.starts_with(link) || leads_to.as_ref().is_ok_and(|to| path.starts_with(to))
            });
            if used {
                let why = [Why::Always { purpose: "the root's /usr is merged".to_owned() }];
                self.put(link.clone(), Node::Link { target: target.clone() }, Rank::Closure, &why)?;
            }
        }
        Ok(())
    }

    /// What was placed below a link goes to where the link leads.
    fn settle_behind_links(&mut self) -> Result<(), PlanError> {
        // Links may lead to links; the kernel gives up after 40 (path_resolution(7)).
        for _ in 0..40 {
            let behind: Vec<(ImagePath, ImagePath)> = self
                .entries
                .keys()
                .filter_map(|path| Some((path.clone(), self.behind(path)?)))
                .collect();
            if behind.is_empty() {
                return Ok(());
            }
            for (from, to) in behind {
                let Some((rank, entry)) = self.entries.remove(&from) else { continue };
                if let Some(identity) = self.identities.remove(&from) {
                    self.identities.insert(to.clone(), identity);
                }
                for paths in [&mut self.needed, &mut self.named] {
                    if paths.remove(&from) {
                        paths.insert(to.clone());
                    }
                }
                self.put(to, entry.node, rank, &entry.why)?;
            }
        }
        Ok(())
    }

    /// Where a path really is, if its first linked ancestor is a link of the image.
    fn behind(&self, path: &ImagePath) -> Option<ImagePath> {
        for ancestor in path.ancestors() {
            let Some((_, Entry { node: Node::Link { target }, .. })) = self.entries.get(&ancestor)
            else {
                continue;
            };
            let rest = path.as_bytes().strip_prefix(ancestor.as_bytes())?;
            let mut components: Vec<&[u8]> = match target.as_bytes().first() {
                Some(b'/') => Vec::new(),
                _ => ancestor
                    .components()
                    .rev()
                    .skip(1)
                    .collect::<Vec<_>>()
                    .into_iter()
                    .rev()
                    .collect(),
            };
            for part in target.as_bytes().split(|&b| b == b'/') {
                match part {
                    b"" | b"." => {}
                    b".." => drop(components.pop()),
                    _ => components.push(part),
                }
            }
            let mut whole = vec![b'/'];
            whole.extend(components.join(&b'/'));
            whole.extend_from_slice(rest);
            return ImagePath::new(whole).ok();
        }
        None
    }
}
