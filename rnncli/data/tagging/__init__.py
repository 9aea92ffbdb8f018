"""From files of tagged words to sentences, and from sentences to arrays with a tag for every word."""
