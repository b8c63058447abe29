from modalgap.data import mad

digits = mad.digits(limit=200)  # from scikit-learn; or give a folder of MNIST
made = mad.build(digits)
captions = mad.Captions(attributes=2)

source = mad.source(made, captions, images=3)  # 3 random images per held-out digit
print(source)
names, texts = source.media.names if source.media else [], source.texts or []
for name, caption in list(zip(names, texts, strict=True))[:3]:
    print(name, "->", caption)
