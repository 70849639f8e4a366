"""The command `page`: one HTML file that shows what a prepared dataset contains."""
