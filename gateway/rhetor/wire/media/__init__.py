"""Languages of vendors who make or read pictures, sounds and films; and what several of them need."""
