//! A table beside a socket: one entry for each peer, found without hashing.

use zmtp::PeerId;

/// Entries by peer. An entry is found only under the id it was put under, so what is known of one
/// connection is never taken for knowledge of the next.
#[derive(Debug)]
pub(crate) struct PeerMap<T>(Vec<Option<(PeerId, T)>>);

impl<T> Default for PeerMap<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> PeerMap<T> {
    pub(crate) fn insert(&mut self, id: PeerId, value: T) {
        if self.0.len() <= id.index() {
            self.0.resize_with(id.index() + 1, || None);
        }
        if let Some(place) = self.0.get_mut(id.index()) {
            *place = Some((id, value));
        }
    }

    pub(crate) fn get(&self, id: PeerId) -> Option<&T> {
        let (of, value) = self.0.get(id.index())?.as_ref()?;
        (*of == id).then_some(value)
    }

    pub(crate) fn get_mut(&mut self, id: PeerId) -> Option<&mut T> {
        let (of, value) = self.0.get_mut(id.index())?.as_mut()?;
        (*of == id).then_some(value)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten().map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PeerId, &T)> {
        self.0.iter().flatten().map(|(id, value)| (*id, value))
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().flatten().map(|(_, value)| value)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (PeerId, &mut T)> {
        self.0.iter_mut().flatten().map(|(id, value)| (*id, value))
    }

    pub(crate) fn remove(&mut self, id: PeerId) -> Option<T> {
        let place = self.0.get_mut(id.index())?;
        let (_, value) = place.take_if(|(of, _)| *of == id)?;
        Some(value)
    }
}
