"""What a word, a sentence and a script are, in English and Chinese."""
