"""A run as one page: plain data in, one self-contained HTML text out, in English and Chinese."""
