"""From texts of any length to streams of token ids: for models that say what comes next."""
