"""Other libraries' doors into the house: each module registers groundup's models with one of them when imported."""
