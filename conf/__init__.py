"""What every layer agrees on: settings, errors, logs, the market, the lake."""
