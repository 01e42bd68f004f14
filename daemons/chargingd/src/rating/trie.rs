//! Longest prefixes of numbers: one step a digit, however many prefixes there are.

/// Values by prefixes of digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trie<T> {
    nodes: Vec<Node>,
    values: Vec<T>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Node {
    /// By digit; 0, the root, is nobody's child.
    children: [u32; 10],
    /// One more than the index of its value; 0 is none.
    value: u32,
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            values: Vec::new(),
        }
    }
}

impl<T: Default> Trie<T> {
    /// The value of `prefix`, made if there was none. `None` if the prefix has something else than digits.
    pub(super) fn entry(&mut self, prefix: &str) -> Option<&mut T> {
        let mut at = 0;
        for byte in prefix.bytes() {
            let digit = usize::from(byte.checked_sub(b'0')?);
            let next = u32::try_from(self.nodes.len()).ok()?;
            let child = self.nodes.get_mut(at)?.children.get_mut(digit)?;
            if *child == 0 {
                *child = next;
                at = next as usize;
                self.nodes.push(Node::default());
            } else {
                at = *child as usize;
            }
        }
        let next = u32::try_from(self.values.len() + 1).ok()?;
        let node = self.nodes.get_mut(at)?;
        if node.value == 0 {
            node.value = next;
            self.values.push(T::default());
        }
        self.values.get_mut(node.value as usize - 1)
    }
}

impl<T> Trie<T> {
    /// Calls `visit` with the length and the value of each prefix that begins `digits`, the shortest first.
    pub(super) fn walk<'t>(
        &'t self,
        digits: impl Iterator<Item = u8>,
        mut visit: impl FnMut(usize, &'t T),
    ) {
        let mut node = self.nodes.first();
        let mut length = 0;
        let mut digits = digits.map(|digit| usize::from(digit.wrapping_sub(b'0')));
        while let Some(here) = node {
            if let Some(value) = (here.value as usize)
                .checked_sub(1)
                .and_then(|index| self.values.get(index))
            {
                visit(length, value);
            }
            length += 1;
            node = digits
                .next()
                .and_then(|digit| here.children.get(digit))
                .filter(|child| **child != 0)
                .and_then(|child| self.nodes.get(*child as usize));
        }
    }

    /// The value of exactly `prefix`.
    pub(super) fn get(&self, prefix: &str) -> Option<&T> {
        let mut found = None;
        self.walk(prefix.bytes(), |length, value| {
            found = (length == prefix.len()).then_some(value);
        });
        found
    }

    /// Every value.
    pub(super) fn values(&self) -> &[T] {
        &self.values
    }
}
