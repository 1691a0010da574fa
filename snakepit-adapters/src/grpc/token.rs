//! The secret that a worker and its host share: whoever does not know it is not served.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// The variable in which a worker finds it.
pub(crate) const TOKEN: &str = "SNAKEPIT_GRPC_TOKEN";

const AUTHORIZATION: &str = "authorization";

/// One life's token, made for it and for nobody else.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(String);

impl Token {
    /// A new one, from the system's source of randomness.
    pub(crate) fn new() -> io::Result<Self> {
        let mut bytes = [0; 32];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self(hex(&bytes)))
    }

    /// One that was received.
    pub(crate) fn from_text(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Puts it on every call.
    pub(crate) fn bearer(&self) -> Bearer {
        let value = MetadataValue::try_from(format!("Bearer {}", self.0));
        Bearer(value.expect("a token is made of hexadecimal digits"))
    }

    /// Lets those calls pass that have it.
    pub(crate) fn check(&self, metadata: &MetadataMap) -> Result<(), Status> {
        let mut given = metadata.get_all(AUTHORIZATION).iter();
        match (given.next(), given.next()) {
            (Some(given), None) if self.is(given) => Ok(()),
            // Who says two has not said which.
            (Some(_) | None, _) => Err(Status::unauthenticated("the call lacks the token of this worker")),
        }
    }

    fn is(&self, given: &MetadataValue<Ascii>) -> bool {
        given.as_bytes().strip_prefix(b"Bearer ").is_some_and(|given| is_same(given, self.0.as_bytes()))
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).expect("half a byte is one digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Takes as long whatever differs, so that nobody can find a token byte by byte.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Puts a token on every call.
#[derive(Clone, Debug)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert(AUTHORIZATION, self.0.clone());
        Ok(request)
    }
}

/// Refuses calls without the token.
#[derive(Clone, Debug)]
pub(crate) struct Guard(pub(crate) Token);

impl Interceptor for Guard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        self.0.check(request.metadata()).map(|()| request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_token_passes() {
        let (mine, other) = (Token::new().unwrap(), Token::new().unwrap());
        assert_ne!(mine, other);
        let call = |token: &Token| Guard(mine.clone()).call(token.bearer().call(Request::new(())).unwrap());
        assert!(call(&mine).is_ok());
        assert_eq!(call(&other).unwrap_err().code(), tonic::Code::Unauthenticated);
        let bare = Guard(mine.clone()).call(Request::new(()));
        assert_eq!(bare.unwrap_err().code(), tonic::Code::Unauthenticated);
    }

    #[test]
    fn a_token_passes_alone_and_among_others_none_does() {
        let mine = Token::new().unwrap();
        let right = mine.bearer().0;
        let no_text = MetadataValue::try_from(&b"Bearer \xff"[..]).unwrap();
        let check = |values: &[&MetadataValue<Ascii>]| {
            let mut metadata = MetadataMap::new();
            for value in values {
                metadata.append(AUTHORIZATION, (*value).clone());
            }
            mine.check(&metadata).is_ok()
        };
        assert!(check(&[&right]));
        for values in [&[&right, &right][..], &[&right, &no_text], &[&no_text, &right], &[&no_text], &[]] {
            assert!(!check(values), "{values:?}");
        }
    }

    #[test]
    fn a_token_is_long_and_never_printed() {
        let token = Token::new().unwrap();
        assert_eq!(token.as_str().len(), 64);
        assert_eq!(format!("{token:?}"), "Token");
    }
}
