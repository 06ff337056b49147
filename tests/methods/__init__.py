"""Numbers of the pages in docs/methods: one module a page, computed here and compared with it."""
