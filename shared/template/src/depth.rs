//! Limits the nesting of a template, which is counted over its tokens.
//!
//! MiniJinja's parser and compiler, this crate's checks and the destructor of the syntax tree are
//! recursive. Each level of the tree has at least one token that is counted here, so a template
//! within the limit needs a bounded stack everywhere.

use minijinja::machinery::{Token, Tokenizer};
use minijinja::syntax::SyntaxConfig;

use crate::TemplateError;

/// The deepest nesting of a template.
pub const DEPTH_MAX: usize = 100;

/// Returns an error if a template nests deeper than [`DEPTH_MAX`]. An invalid template is left to
/// the parser.
pub(crate) fn check(source: &str) -> Result<(), TemplateError> {
    let mut tokenizer = Tokenizer::new(source, "", false, SyntaxConfig::default());
    let mut nesting = Nesting::default();
    while let Ok(Some((token, span))) = tokenizer.next_token() {
        nesting.read(&token);
        if nesting.depth() > DEPTH_MAX {
            return Err(TemplateError::TooDeep {
                line: span.start_line.into(),
                max: DEPTH_MAX,
            });
        }
    }
    Ok(())
}

/// The open constructs at a token.
#[derive(Default)]
struct Nesting {
    /// The open statements, each with its number of branches (`elif` adds one).
    blocks: Vec<usize>,
    blocks_depth: usize,
    /// The operators of the current tag since the last comma or colon, for each open bracket and
    /// for the tag itself.
    operators: Vec<usize>,
    operators_depth: usize,
    tag: Tag,
}

/// The tag to which the tokens belong.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Tag {
    #[default]
    Expression,
    /// `{%`, before its keyword.
    Statement,
    /// `{% set`, which is a block unless it contains `=`.
    Set,
}

impl Nesting {
    fn depth(&self) -> usize {
        self.blocks_depth + self.operators_depth + self.operators.len().saturating_sub(1)
    }

    fn read(&mut self, token: &Token<'_>) {
        match token {
            Token::VariableStart => self.start(Tag::Expression),
            Token::BlockStart => self.start(Tag::Statement),
            Token::BlockEnd => {
                if self.tag == Tag::Set {
                    self.open_block();
                }
                self.start(Tag::Expression);
            }
            Token::Ident(word) if self.tag == Tag::Statement => self.keyword(word),
            Token::Ident("not" | "and" | "or" | "in" | "is" | "if") => self.operator(),
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => {
                self.operator();
                self.operators.push(0);
            }
            Token::ParenClose | Token::BracketClose | Token::BraceClose
                if self.operators.len() > 1 =>
            {
                self.operators_depth -= self.operators.pop().unwrap_or(0);
            }
            Token::Comma | Token::Colon => {
                if let Some(last) = self.operators.last_mut() {
                    self.operators_depth -= std::mem::take(last);
                }
            }
            Token::Assign if self.tag == Tag::Set && self.operators.len() == 1 => {
                self.tag = Tag::Expression
            }
            Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::FloorDiv
            | Token::Pow
            | Token::Mod
            | Token::Dot
            | Token::Tilde
            | Token::Pipe
            | Token::Eq
            | Token::Ne
            | Token::Gt
            | Token::Gte
            | Token::Lt
            | Token::Lte => self.operator(),
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag) {
        self.operators.clear();
        self.operators.push(0);
        self.operators_depth = 0;
        self.tag = tag;
    }

    fn operator(&mut self) {
        if let Some(last) = self.operators.last_mut() {
            *last += 1;
            self.operators_depth += 1;
        }
    }

    fn keyword(&mut self, word: &str) {
        self.tag = if word == "set" {
            Tag::Set
        } else {
            Tag::Expression
        };
        match word {
            "set" | "else" | "do" => {}
            "elif" => {
                if let Some(last) = self.blocks.last_mut() {
                    *last += 1;
                    self.blocks_depth += 1;
                }
            }
            _ if word.starts_with("end") => self.blocks_depth -= self.blocks.pop().unwrap_or(0),
            _ => self.open_block(),
        }
    }

    fn open_block(&mut self) {
        self.blocks.push(1);
        self.blocks_depth += 1;
    }
}
