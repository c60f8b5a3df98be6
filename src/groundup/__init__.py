"""groundup: design, pretrain, fine-tune, evaluate and ship transformer language models, in English and Chinese."""
