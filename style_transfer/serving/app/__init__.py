"""The web page: a piece and a piano go in, the piece on that piano comes out."""
