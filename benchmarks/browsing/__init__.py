"""What a real browser says of the pages: Lighthouse, a throttled phone, and the browser tests' own counts."""
