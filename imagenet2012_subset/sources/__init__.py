"""Where images come from: one module for each form, and the choice between them."""
