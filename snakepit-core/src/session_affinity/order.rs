//! The order of last use: places in a line from which any may be taken. The line is kept in segments, each a plain array,
//! so that a walk from the oldest reads what lies side by side, where a list of links would wait for memory at every step.

/// How many places a segment has. Two neighbours that together fill no more than half of one become one.
const SEGMENT: usize = 256;
const NONE: u32 = u32::MAX;

/// Where something stands in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    segment: u32,
    index: u32,
}

impl Position {
    /// Not in the line.
    pub(super) const OUTSIDE: Self = Self { segment: NONE, index: NONE };
}

/// Numbers in the order in which they joined. Whoever joined is told its position, and every later one.
#[derive(Debug)]
pub(super) struct Order {
    segments: Vec<Segment>,
    /// Segments that are not in the line.
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
}

#[derive(Debug)]
struct Segment {
    /// In the order in which they joined; [`NONE`] where one has left.
    numbers: Vec<u32>,
    /// All before this have left.
    first: usize,
    /// How many have not.
    left: usize,
    older: u32,
    newer: u32,
}

impl Default for Order {
    fn default() -> Self {
        Self { segments: Vec::new(), free: Vec::new(), oldest: NONE, newest: NONE }
    }
}

impl Order {
    /// Joins the line at its end.
    pub(super) fn join(&mut self, number: u32) -> Position {
        let segment = match self.segments.get(self.newest as usize) {
            Some(newest) if newest.numbers.len() < SEGMENT => self.newest,
            _ => self.lengthen(),
        };
        let newest = &mut self.segments[segment as usize];
        newest.numbers.push(number);
        newest.left += 1;
        Position { segment, index: index(newest.numbers.len() - 1) }
    }

    /// Leaves the line. Where the segments close up, `moved` hears who stands where from then on.
    pub(super) fn leave(&mut self, position: Position, moved: impl FnMut(u32, Position)) {
        let Some(segment) = self.segments.get_mut(position.segment as usize) else { return };
        segment.numbers[position.index as usize] = NONE;
        segment.left -= 1;
        let (left, older, newer) = (segment.left, segment.older, segment.newer);
        if left == 0 {
            self.unlink(position.segment);
        } else if left > SEGMENT / 2 {
            // It fits with nobody.
        } else if self.fits_with(left, newer) {
            self.close_up(position.segment, newer, moved);
        } else if self.fits_with(left, older) {
            self.close_up(older, position.segment, moved);
        }
    }

    /// Those that joined first leave, one after the other, as long as `leaves` says so.
    pub(super) fn leave_oldest(&mut self, mut leaves: impl FnMut(u32) -> bool) {
        while let Some(segment) = self.segments.get_mut(self.oldest as usize) {
            while let Some(&number) = segment.numbers.get(segment.first) {
                if number != NONE {
                    if !leaves(number) {
                        return;
                    }
                    segment.numbers[segment.first] = NONE;
                    segment.left -= 1;
                }
                segment.first += 1;
            }
            self.unlink(self.oldest);
        }
    }

    fn fits_with(&self, left: usize, other: u32) -> bool {
        self.segments.get(other as usize).is_some_and(|other| other.left + left <= SEGMENT / 2)
    }

    /// Makes one segment of two neighbours.
    fn close_up(&mut self, older: u32, newer: u32, mut moved: impl FnMut(u32, Position)) {
        let mut numbers = Vec::with_capacity(SEGMENT);
        for segment in [older, newer] {
            let those = self.segments[segment as usize].numbers.iter();
            numbers.extend(those.copied().filter(|number| *number != NONE));
        }
        for (at, number) in numbers.iter().enumerate() {
            moved(*number, Position { segment: newer, index: index(at) });
        }
        self.unlink(older);
        let newer = &mut self.segments[newer as usize];
        (newer.first, newer.left) = (0, numbers.len());
        newer.numbers = numbers;
    }

    /// Puts an empty segment at the end of the line.
    fn lengthen(&mut self) -> u32 {
        let (older, newer) = (self.newest, NONE);
        let numbers = Vec::with_capacity(SEGMENT);
        let empty = Segment { numbers, first: 0, left: 0, older, newer };
        let segment = if let Some(segment) = self.free.pop() {
            self.segments[segment as usize] = empty;
            segment
        } else {
            self.segments.push(empty);
            index(self.segments.len() - 1)
        };
        match self.segments.get_mut(older as usize) {
            Some(older) => older.newer = segment,
            None => self.oldest = segment,
        }
        self.newest = segment;
        segment
    }

    fn unlink(&mut self, segment: u32) {
        let gone = &mut self.segments[segment as usize];
        let (older, newer) = (gone.older, gone.newer);
        // Its memory is given back: the line may have been longer than it will ever be again.
        gone.numbers = Vec::new();
        match self.segments.get_mut(older as usize) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
        match self.segments.get_mut(newer as usize) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        self.free.push(segment);
    }
}

fn index(at: usize) -> u32 {
    u32::try_from(at).expect("fewer things than 2^32, by the limit of sessions")
}
