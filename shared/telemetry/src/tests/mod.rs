mod documentation;
mod emf;
mod flush;
mod propagation;
